"""The provider double `aws`: a Pulumi plugin that talks to a moto server by boto3.

provider.py speaks with the engine, resources.py names what can be made, leftovers.py
says what is still there, and engine.py sets all of it up for a test.
"""
