"""How answers hold up when a text changes a little, and whether they change when the facts do."""
