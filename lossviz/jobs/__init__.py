"""Jobs: the worker process that trains, and the queue that feeds it. The only room with processes."""
