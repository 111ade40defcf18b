"""What is usual of one service, and what of it is odd: its metrics, its log lines, and the minutes they are added up in."""
