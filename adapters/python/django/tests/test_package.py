"""What is installed."""

from importlib.metadata import metadata

from django.test import SimpleTestCase


class PackageTests(SimpleTestCase):
    def test_the_license_comes_with_the_package(self):
        self.assertEqual(metadata("django-session-store").get_all("License-File"), ["LICENSE"])
