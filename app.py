"""What runs: the pages and the HTTP API, in one process.

`streamlit run app.py` serves both.
"""

import streamlit as st

from ideitify.api import routes
from views.parts import apologise

app = st.App("views/main.py", routes=routes, on_script_error=apologise)
