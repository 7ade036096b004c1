"""What AOT and DeAOT make of tokens: attention over the past, its memory, and the layers around it."""
