"""What runs: the pages and the HTTP API, in one process.

`streamlit run app.py` serves both.
"""

import streamlit as st

from ideitify import api, review_api
from views.parts import apologise

app = st.App("views/main.py", routes=[*review_api.routes, *api.routes], on_script_error=apologise)
