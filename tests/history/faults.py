"""All planted faults, by name: importing them enters them into the register."""

from tests.history import faults_of_clients, faults_of_logs
from tests.history.planting import FAULTS, NoPlace

__all__ = ["FAULTS", "NoPlace", "faults_of_clients", "faults_of_logs"]
