"""The blocking client, made from ``_async`` by ``scripts/generate.py``: change that folder."""
