"""Traffic between applications: a splitter that runs in Ray, and who steers it."""
