"""The client for asyncio and trio. ``_sync`` is made from this folder by ``scripts/generate.py``."""
