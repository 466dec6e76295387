"""What people do with an editor of boxes, done in several editors with mouse and keyboard."""
