"""What people and programs see. A renderer never decides how something ended."""
