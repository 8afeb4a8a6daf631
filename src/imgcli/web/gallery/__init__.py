"""The gallery as plain files: a page, a style sheet, a script, and the data that they show."""
