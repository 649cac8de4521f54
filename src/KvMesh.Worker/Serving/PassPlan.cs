namespace KvMesh.Worker.Serving;

/// <summary>
/// Which requests a pass computes, and how many tokens of each. Requests that decode come first, one token each; prompts take the rest, in turn: where not all
/// find a place, the next pass begins behind the last that did.
/// </summary>
internal sealed class PassPlan
{
    private int _turn;

    public List<(ServedRequest Request, int Tokens)> Entries { get; } = [];

    /// <summary>Whether its only request waits for layers that are still on their way: it must not hold up others.</summary>
    public bool IsStreaming { get; private set; }

    public void Make(IReadOnlyList<ServedRequest> running, int maxTokens)
    {
        Entries.Clear();
        IsStreaming = false;
        var left = maxTokens;
        var start = running.Count == 0 ? 0 : _turn % running.Count;
        Take(running, start, decodes: true, ref left);
        Take(running, start, decodes: false, ref left);
        if (Entries.Count == 0 && running.FirstOrDefault(request => request is { HasStreamed: false, IsDone: false, IsCancelled: false, Fetch.IsStreaming: true }) is { } streaming)
        {
            IsStreaming = true;
            Entries.Add((streaming, maxTokens));
        }
    }

    private void Take(IReadOnlyList<ServedRequest> running, int start, bool decodes, ref int left)
    {
        for (var index = 0; index < running.Count && left > 0; index++)
        {
            var request = running[(start + index) % running.Count];
            if (request.IsRunnable && decodes == (request.Missing == 1))
            {
                var tokens = Math.Min(request.Missing, left);
                Entries.Add((request, tokens));
                left -= tokens;
                _turn = left == 0 ? (start + index + 1) % running.Count : _turn;
            }
        }
    }
}
