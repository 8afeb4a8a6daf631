"""What a browser is given: the routes of `serve`, pages, their scripts, and the data in them."""
