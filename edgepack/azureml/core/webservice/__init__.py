"""`azureml.core.webservice`: services of this machine, and the configurations of Azure's, which cannot be deployed."""

from edgepack.azureml.core.webservice.aci import AciWebservice
from edgepack.azureml.core.webservice.aks import AksEndpoint, AksWebservice
from edgepack.azureml.core.webservice.local import LocalWebservice
from edgepack.azureml.core.webservice.webservice import Webservice

__all__ = ["AciWebservice", "AksEndpoint", "AksWebservice", "LocalWebservice", "Webservice"]
