from hypothesis import settings

# How long an example takes is the machine's affair; whatever else the session has set stays.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
