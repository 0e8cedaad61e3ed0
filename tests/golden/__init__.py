"""What must never change unnoticed."""
