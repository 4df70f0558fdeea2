# Pipes from an upstream in AWS's framing. What wire.carried.Carried does with a Pipe and an AwsToSse, without the text between them.
#
# A frame that is written only to be read again costs as much as all the rest (measured: 180 against 110 ns), so here a message goes to
# the decoder as it lies in the chunk. Bytes, failures and counts are those of the two apart; tests/fuzz/test_aws_framing.py compares them.

cdef class AwsPipe(Pipe):
    """Implements neutral.stream.Pipe: `pipe`, which must be fresh, behind `unframe`, which must be too."""

    cdef AwsToSse unframe

    def __init__(self, Pipe pipe not None, AwsToSse unframe not None):
        self.framer = pipe.framer
        self.decoder = pipe.decoder
        self.encoder = pipe.encoder
        self.unframe = unframe
        unframe.decoder = pipe.decoder
        unframe.sink = pipe.encoder

    def feed(self, bytes chunk not None):
        if self.encoder.ended:
            return b""
        self.unframe.feed(chunk)
        if self.unframe.failure is not None:
            self.encoder.on_fail(self.unframe.failure)
        return self.encoder.taken()

    def finish(self):
        if self.encoder.ended:
            return b""
        self.unframe.finish()
        if self.unframe.failure is not None:
            self.encoder.on_fail(self.unframe.failure)
        else:
            self.decoder.on_finish(self.encoder)
        return self.encoder.taken()
