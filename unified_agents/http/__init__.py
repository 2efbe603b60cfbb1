"""What all HTTP clients of the library share: sessions per event loop, allowed hosts and `Retry-After`."""
