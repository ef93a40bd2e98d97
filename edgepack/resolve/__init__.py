"""Python packages for the target: from a conda file to exact wheels for each platform, locked by hash."""
