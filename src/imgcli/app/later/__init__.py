"""Batches that go through OpenAI's Batch API: submitted today, collected tomorrow."""
