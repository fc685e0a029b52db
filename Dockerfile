# syntax=docker/dockerfile:1
# Two images: `slim` signs, verifies and publishes; `jdk` also builds projects with Gradle or Maven.
# The official Python image is the default base; tools/container-check.sh builds on a plain Debian.
ARG BASE=python:3.11-slim-bookworm

# ---- the application and its dependencies, in a virtual environment without pip ----------------
FROM ${BASE} AS build
# The CA of an intercepting proxy, for the build only.
ARG SSL_CERT_FILE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
RUN python3 -m venv /build/pip \
 && python3 -m venv --without-pip /opt/ign-deploy
COPY requirements.lock ./
# actions-toolkit installs a package named `tests`, which must not be imported by accident.
RUN /build/pip/bin/pip --python /opt/ign-deploy/bin/python install \
      --require-hashes --only-binary :all: --no-compile --requirement requirements.lock \
 && rm -rf /opt/ign-deploy/lib/python3*/site-packages/tests /opt/ign-deploy/bin/[Aa]ctivate* \
           /opt/ign-deploy/bin/*.py
# Three libraries come with symbols for debugging: 12 MB less without them.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils \
 && find /opt/ign-deploy/lib/python3*/site-packages \
      \( -name '_pkcs11.*.so' -o -name '_yaml.*.so' -o -name '_rust.abi3.so' \) \
      -exec strip --strip-unneeded {} + \
 && rm -rf /opt/ign-deploy/lib/python3*/site-packages/pkcs11/*.p[xy][dix] /var/lib/apt/lists/*
# botocore describes 400 services; its credential providers need four: 26 MB less.
RUN find /opt/ign-deploy/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name signin ! -name sso ! -name sso-oidc ! -name sts -exec rm -rf {} + \
 && find /opt/ign-deploy/lib/python3*/site-packages/botocore/data \
      \( -name 'examples-1.json' -o -name 'waiters-2.json' \) -delete
COPY ign_deploy/ /build/source/ign_deploy/
COPY LICENSE entrypoint.py /opt/ign-deploy/app/
COPY tools/ign-deploy /opt/ign-deploy/bin/ign-deploy
# Compile byte code now (startup takes twice as long without it), never checked against
# the source's date, so that the same source gives the same bytes.
RUN cp -R /build/source/ign_deploy /opt/ign-deploy/lib/python3*/site-packages/ \
 && chmod -R a+rX /opt/ign-deploy \
 && chmod 0755 /opt/ign-deploy/bin/ign-deploy \
 && /opt/ign-deploy/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      /opt/ign-deploy/lib /opt/ign-deploy/app

# ---- slim ---------------------------------------------------------------------------------------
FROM ${BASE} AS slim
# procps: Jenkins inspects its containers with `ps`. git: the project's history and tags.
# dpkg skips manuals and translations, as in Debian's own slim images (licences stay), which
# saves 18 MB.
# hadolint ignore=DL3008
RUN printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' \
      '/usr/share/locale/*' '/usr/share/gitweb/*' '/usr/share/lintian/*' \
      >/etc/dpkg/dpkg.cfg.d/ign-deploy \
 && echo 'path-include /usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/ign-deploy \
 && apt-get update \
 && apt-get install -y --no-install-recommends git procps \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/* \
 && rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/* \
           /usr/local/lib/python3*/ensurepip /usr/share/python-wheels
# The official Python images lack byte code of the standard library (10 MB). Debian's
# Python has it, so this does nothing there.
RUN PYTHONDONTWRITEBYTECODE=1 python3 -m compileall -q --invalidation-mode unchecked-hash \
      -x '(site|dist)-packages|/(test|tests|idlelib|tkinter|lib2to3|turtledemo|pydoc_data)/' \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Builds run as this user if the container runs as root. Not by useradd, which writes the date.
RUN echo 'ign-build:x:990:990::/nonexistent:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'ign-build:x:990:' >>/etc/group
COPY --from=build /opt/ign-deploy /opt/ign-deploy
ENV PATH=/opt/ign-deploy/bin:/opt/java/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1
# Python itself, never a shell: shells drop variables with hyphens, such as the action's inputs.
# No USER and no WORKDIR: GitHub runs the image as root and mounts what it needs.
# hadolint ignore=DL3002
ENTRYPOINT ["/opt/ign-deploy/bin/python", "-I", "/opt/ign-deploy/app/entrypoint.py"]
# What changes with every commit comes last, so that all versions share the layers before it.
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=https://github.com/org/ign-deploy
LABEL org.opencontainers.image.title="ign-deploy" \
      org.opencontainers.image.description="Takes Ignition modules from source to gateways" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# ---- a Java runtime with compiler, a quarter of the full JDK's size ------------------------------
FROM ${BASE} AS java
# hadolint ignore=DL3008
RUN apt-get update \
 && mkdir -p /usr/share/man/man1 \
 && apt-get install -y --no-install-recommends binutils openjdk-17-jdk-headless \
 && rm -rf /var/lib/apt/lists/*
# The modules that Gradle, Maven, the compiler and common annotation processors use.
RUN "$(dirname "$(readlink -f "$(command -v javac)")")/jlink" \
      --add-modules java.se,jdk.compiler,jdk.jartool,jdk.javadoc,jdk.zipfs,jdk.unsupported,jdk.crypto.ec,jdk.crypto.cryptoki,jdk.management,jdk.charsets,jdk.localedata,jdk.naming.dns,jdk.httpserver \
      --include-locales en --strip-debug --no-man-pages --no-header-files --compress=2 \
      --output /opt/java

# ---- jdk ----------------------------------------------------------------------------------------
FROM slim AS jdk
COPY --from=java /opt/java /opt/java
ENV JAVA_HOME=/opt/java

# ---- the default target: the action builds modules, so it has the JDK ----------------------------
FROM jdk AS action
