#!/usr/bin/env python3
"""What is read."""
import os
from os import getenv

KEY: str = r'a\b' "c\n\x41\u00e9\101" ; OTHER = KEY
numbers = (1_000, -2.5e-3, .5, (1), (1,), ())
available_endpoints = [
    {"url": os.environ.get('URL', "http://a"), 'type': 'ocf', 'api_key': os.environ["KEY"], 'on': True, 'x': None},
    {'url': getenv('B'), 'api_key': OTHER, 'note': '''it's
 more than a line''', },
]
endpoints = available_endpoints
pass
