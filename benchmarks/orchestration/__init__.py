"""What `benchmarks.overhead` compares: bare activities, the incident on stubs, the whole story on the real services."""
