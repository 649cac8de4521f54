using System.Runtime.InteropServices;

namespace KvMesh.Worker.Model.Text;

/// <summary>Merges the bytes of a word into tokens: of all neighbours the pair that was learned first, the leftmost where it is there twice, until none is known.</summary>
internal sealed class BytePairs
{
    private readonly int[] _tokenOfByte;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Token)> _merges;

    /// <param name="tokenOfByte">The token of each byte.</param>
    /// <param name="merges">What two tokens become, and when that was learned.</param>
    public BytePairs(int[] tokenOfByte, Dictionary<(int Left, int Right), (int Rank, int Token)> merges) => (_tokenOfByte, _merges) = (tokenOfByte, merges);

    /// <summary>Appends the tokens of a word. Time grows with n log n of its length.</summary>
    public void Encode(ReadOnlySpan<byte> word, List<int> tokens)
    {
        if (word.IsEmpty)
        {
            return;
        }

        var links = new Link[word.Length];
        var queue = new PriorityQueue<Candidate, (int Rank, int At)>();
        for (var at = 0; at < word.Length; at++)
        {
            links[at] = new Link(_tokenOfByte[word[at]], at - 1, at + 1 < word.Length ? at + 1 : -1);
        }

        for (var at = 0; at + 1 < word.Length; at++)
        {
            Offer(links, at, queue);
        }

        while (queue.TryDequeue(out var candidate, out var priority))
        {
            Merge(links, priority.At, candidate, queue);
        }

        for (var at = 0; at >= 0; at = links[at].Next)
        {
            tokens.Add(links[at].Token);
        }
    }

    private void Offer(ReadOnlySpan<Link> links, int at, PriorityQueue<Candidate, (int Rank, int At)> queue)
    {
        var right = links[at].Next;
        if (right >= 0 && _merges.TryGetValue((links[at].Token, links[right].Token), out var merge))
        {
            queue.Enqueue(new Candidate(links[at].Token, links[right].Token, merge.Token), (merge.Rank, at));
        }
    }

    private void Merge(Span<Link> links, int at, Candidate candidate, PriorityQueue<Candidate, (int Rank, int At)> queue)
    {
        ref var left = ref links[at];
        // A neighbour may have merged since: then this pair is gone.
        if (left.Token != candidate.Left || left.Next < 0 || links[left.Next].Token != candidate.Right)
        {
            return;
        }

        ref var right = ref links[left.Next];
        left.Token = candidate.Merged;
        right.Token = -1;
        left.Next = right.Next;
        if (left.Next >= 0)
        {
            links[left.Next].Previous = at;
            Offer(links, at, queue);
        }

        if (left.Previous >= 0)
        {
            Offer(links, left.Previous, queue);
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private record struct Link(int Token, int Previous, int Next);

    private readonly record struct Candidate(int Left, int Right, int Merged);
}
