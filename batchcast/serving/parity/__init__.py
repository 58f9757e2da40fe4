"""Do batch and endpoint give the same answers?"""
