import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0005_seats'),
        ('registrations', '0006_own_week'),
    ]

    operations = [
        migrations.AlterField(
            model_name='outgoingmail',
            name='announcement',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='mails', to='registrations.announcement'),
        ),
        migrations.AlterField(
            model_name='outgoingmail',
            name='key',
            field=models.CharField(max_length=200),
        ),
        migrations.AlterField(
            model_name='outgoingmail',
            name='session',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='events.session'),
        ),
        migrations.AlterField(
            model_name='outgoingmail',
            name='was',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='events.revision'),
        ),
        migrations.AddIndex(
            model_name='outgoingmail',
            index=models.Index(condition=models.Q(('session__isnull', False)), fields=['session'], name='mails_of_session'),
        ),
        migrations.AddIndex(
            model_name='outgoingmail',
            index=models.Index(condition=models.Q(('was__isnull', False)), fields=['was'], name='mails_of_was'),
        ),
        migrations.AddIndex(
            model_name='outgoingmail',
            index=models.Index(condition=models.Q(('announcement__isnull', False)), fields=['announcement'], name='mails_of_announcement'),
        ),
        migrations.AddConstraint(
            model_name='outgoingmail',
            constraint=models.UniqueConstraint(fields=('key',), name='one_mail_per_key'),
        ),
    ]
