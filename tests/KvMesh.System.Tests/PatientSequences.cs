using KvMesh.Client.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Sequences in a Redis that may not answer in time on a busy machine: asked again until it does. With a request id of its own nothing happens twice.</summary>
internal static class PatientSequences
{
    public static async Task<SequenceResult> AnswerAsync(this SequenceClient sequences, string name, SequenceCommand command)
    {
        SequenceResult result = null!;
        await Eventually.Holds(
            async () => (result = await sequences.ExecuteAsync(name, command, CancellationToken.None)).Refusal != SequenceRefusal.Unavailable,
            () => $"an answer about the sequence {name}; the last was {result.Text}");
        return result;
    }

    public static async Task<SequenceGrant> GrantAsync(this SequenceClient sequences, string name, string holder)
    {
        SequenceGrant grant = null!;
        await Eventually.Holds(
            async () => (grant = await sequences.ResumeAsync(name, holder, CancellationToken.None)).Refusal != SequenceRefusal.Unavailable,
            () => $"a grant of the sequence {name}; the last word was {grant.Text}");
        return grant;
    }
}
