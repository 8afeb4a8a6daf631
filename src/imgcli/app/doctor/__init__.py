"""`imgcli doctor`: the checks, each a line with what was found and what to do, and the test card."""
