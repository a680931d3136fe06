import os

from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from .models import Person


class RolledBack:
    """Django ends each test's transaction: every test finds what the migrations have made."""

    def test_writes_and_says_where(self):
        with open(os.environ["DATABASES_SEEN"], "a") as seen:
            seen.write(connection.settings_dict["NAME"] + "\n")
        Person.objects.create(name="Grace")
        self.assertEqual(sorted(Person.objects.values_list("name", flat=True)), ["Ada", "Grace"])

    def test_writes_again(self):
        Person.objects.create(name="Grace")
        self.assertEqual(Person.objects.count(), 2)


class First(RolledBack, TestCase):
    pass


class Second(RolledBack, TestCase):
    pass


class Third(RolledBack, TestCase):
    pass


class Fourth(RolledBack, TestCase):
    pass


class Committed(TransactionTestCase):
    """These commit, and the tables are emptied afterwards."""

    def test_locks_a_row(self):
        person = Person.objects.create(name="Edsger")
        with transaction.atomic():
            self.assertEqual(Person.objects.select_for_update().get(pk=person.pk).name, "Edsger")
