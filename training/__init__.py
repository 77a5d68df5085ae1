"""Training of Synchformer: unimodal start, Segment AVCLIP (stage I), synchronization module (stage II), evaluation."""
