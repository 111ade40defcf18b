"""What `suture` can be told, a file per noun."""
