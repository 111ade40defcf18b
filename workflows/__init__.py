"""The durable order of events; reads like the diagram."""
