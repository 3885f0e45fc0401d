"""The provider double `aws`: a Pulumi plugin that calls a moto server through boto3.

provider.py communicates with the engine, resources.py lists the resource types,
leftovers.py lists the remaining resources, and engine.py sets up the double for a test.
"""
