# The app and its API, from requirements.txt alone: no torch.
#   docker build -t ideitify . && docker run -p 8501:8501 ideitify
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 ideitify
WORKDIR /home/ideitify/app

# first, so that a change of the code does not install everything again
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY .streamlit/config.toml .streamlit/config.toml
COPY app.py LICENSE ./
COPY ideitify ideitify
COPY views views
COPY knowledge knowledge
COPY models/default models/default

USER 1000
ENV PYTHONUNBUFFERED=1
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/api/health')"]
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true"]
