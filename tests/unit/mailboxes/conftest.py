"""Property tests of this folder have no time limit: a busy machine is no defect."""

from hypothesis import settings

settings.register_profile("mailboxes", deadline=None)
settings.load_profile("mailboxes")
