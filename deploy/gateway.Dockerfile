# Gateway and inbox (azmail gateway, azmail inbox), for deploy/docker-compose.yml; built from the top of the clone.
FROM python:3.13-slim

# Whoever it runs as (GATEWAY_USER) keeps its certificate and its SQLite there.
RUN mkdir --mode=1777 /state
COPY pyproject.toml LICENSE /src/
COPY docs/azmail.md /src/docs/azmail.md
COPY azmail /src/azmail
RUN pip install --no-cache-dir '/src[inbox]' && rm -r /src
USER 1000
WORKDIR /state
ENTRYPOINT ["azmail"]
CMD ["gateway", "serve"]
