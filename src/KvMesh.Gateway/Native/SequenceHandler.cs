using KvMesh.Cluster.Sequences;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Gateway.Native;

/// <summary>Hands requests about sequences to their host. The tenant is the connection's.</summary>
internal static class SequenceHandler
{
    /// <summary>Rows that come with the answer to a resume: enough to begin with, and small beside a round trip.</summary>
    private const int RowsOfGrant = 256;

    public static void Handle(NativeExchange exchange)
    {
        var request = exchange.Request;
        exchange.Owed.Begin(exchange.Writer, exchange.Channel, request, Begin(exchange, request.Verb));
    }

    private static ValueTask<ControlAnswer> Begin(NativeExchange exchange, Verb verb)
    {
        var rights = verb is Verb.SequenceShow or Verb.SequenceRows or Verb.SequenceList ? AccessRights.Read : AccessRights.Write;
        if (!exchange.May(rights))
        {
            return Refuse(NativeStatus.AccessDenied, $"{verb}: this token of tenant '{exchange.Tenant.Name}' lacks the right {rights}.");
        }

        if (exchange.Services.Sequences is not { } host)
        {
            return Refuse(NativeStatus.NotSupported, $"{verb}: this node hosts no sequences.");
        }

        var head = exchange.Receiver.Head;
        var tenant = exchange.Tenant.Name;
        var stopping = exchange.Services.Stopping;
        if (verb is Verb.SequenceShow or Verb.SequenceRows or Verb.SequenceList)
        {
            var reader = new HeadReader(head);
            var isRead = SequenceRequests.TryReadPrefix(ref reader, out var name, out _, out _);
            var first = verb == Verb.SequenceRows ? reader.ReadUInt32() : 0;
            var count = verb == Verb.SequenceShow ? 0 : reader.ReadUInt32();
            return !isRead || !reader.IsValid || first > int.MaxValue || count > int.MaxValue
                ? Refuse(NativeStatus.BadRequest, $"{verb}: the head must be a name, u64, i64 and the fields of the verb.")
                : ReadAsync(host, verb, new SequenceId(tenant, name), (int)first, (int)count, stopping);
        }

        return SequenceRequests.TryRead(verb, head, out var subject, out var command)
            ? ExecuteAsync(host, new SequenceId(tenant, subject), command, stopping)
            : Refuse(NativeStatus.BadRequest, $"{verb}: the head ends before its fields do.");
    }

    private static async ValueTask<ControlAnswer> ExecuteAsync(ISequenceHost host, SequenceId id, SequenceCommand command, CancellationToken stopping)
    {
        try
        {
            var reply = await host.ExecuteAsync(id, command, stopping).ConfigureAwait(false);
            if (!reply.IsOk || command is not ResumeSequence)
            {
                return AnswerOf(reply);
            }

            var rows = await host.ReadRowsAsync(id, 0, RowsOfGrant, stopping).ConfigureAwait(false);
            return rows.Refusal != SequenceRefusal.None ? Refused(rows.Refusal, rows.Text) : new ControlAnswer(NativeStatus.Ok, writer =>
            {
                WriteOk(writer, reply);
                SequenceAnswers.WriteRows(writer, rows.Total, rows.First, rows.Rows.Span);
            });
        }
        catch (OperationCanceledException)
        {
            return Stopping();
        }
    }

    private static async ValueTask<ControlAnswer> ReadAsync(ISequenceHost host, Verb verb, SequenceId id, int first, int count, CancellationToken stopping)
    {
        try
        {
            switch (verb)
            {
                case Verb.SequenceShow:
                    return AnswerOf(await host.FindAsync(id, stopping).ConfigureAwait(false));

                case Verb.SequenceRows:
                    var rows = await host.ReadRowsAsync(id, first, count, stopping).ConfigureAwait(false);
                    return rows.Refusal != SequenceRefusal.None
                        ? Refused(rows.Refusal, rows.Text)
                        : new ControlAnswer(NativeStatus.Ok, writer => SequenceAnswers.WriteRows(writer, rows.Total, rows.First, rows.Rows.Span));

                default:
                    var page = await host.ListAsync(id.Tenant, id.Name, count, stopping).ConfigureAwait(false);
                    return page.Refusal != SequenceRefusal.None
                        ? Refused(page.Refusal, page.Text)
                        : new ControlAnswer(NativeStatus.Ok, writer => SequenceAnswers.WriteList(writer, page.Sequences, page.Next));
            }
        }
        catch (OperationCanceledException)
        {
            return Stopping();
        }
    }

    private static ControlAnswer AnswerOf(SequenceReply reply) =>
        reply.IsOk ? new ControlAnswer(NativeStatus.Ok, writer => WriteOk(writer, reply)) : Refused(reply.Refusal, reply.Text);

    private static void WriteOk(FrameWriter writer, SequenceReply reply) => SequenceAnswers.WriteOne(writer, reply.Info!, reply.IsRepetition);

    private static ControlAnswer Refused(SequenceRefusal refusal, string text) =>
        new(NativeStatus.SequenceRefused, writer => SequenceAnswers.WriteRefusal(writer, refusal, text));

    private static ControlAnswer Stopping() => new(NativeStatus.Unavailable, static writer => writer.WriteText("The node stops."));

    private static ValueTask<ControlAnswer> Refuse(NativeStatus status, string text) => ValueTask.FromResult(new ControlAnswer(status, writer => writer.WriteText(text)));
}
