"""What people and programs see while a picture arrives."""
