"""What a browser is given: pages, their scripts, and the data in them."""
