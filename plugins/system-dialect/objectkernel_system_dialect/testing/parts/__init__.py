"""The parts of the suite, a subject each."""
