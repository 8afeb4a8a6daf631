"""What `view` does: images are shown, recorded runs and live streams replayed."""
