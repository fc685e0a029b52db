"""From a project folder to an unsigned module: Gradle, Maven, a bare folder, a prebuilt file."""
