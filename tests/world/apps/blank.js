// A page whose script does nothing by itself: tests act in it.
