from __future__ import annotations

import os

from assistant.app import create_app
from assistant.logs import configure_logs
from assistant.settings import read_settings

settings = read_settings(os.environ)
configure_logs(settings.log_level, settings.release)
app = create_app(settings)
