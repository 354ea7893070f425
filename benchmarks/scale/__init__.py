"""The full count of ImageNet, rehearsed with tiny images: every stage before and after the card."""
