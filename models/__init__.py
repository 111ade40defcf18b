"""The learned and statistical models: arrays and values in, values out."""
