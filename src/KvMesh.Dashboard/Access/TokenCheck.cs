using KvMesh.Client.Admin;
using KvMesh.Dashboard.Feed;

namespace KvMesh.Dashboard.Access;

/// <summary>What the node says about a token.</summary>
internal enum TokenVerdict
{
    Good,
    Unknown,
    LacksRights,

    /// <summary>The node has no credentials, so any text would pass.</summary>
    NotChecked,
    NoAnswer,
}

/// <summary>Asks the node whether a token is good. The dashboard knows no tokens of its own.</summary>
internal sealed class TokenCheck(NodeAddress node, TimeProvider time)
{
    /// <summary>Longer than any token that a node makes.</summary>
    public const int MaxTokenCharacters = 512;

    /// <summary>A busy node is late and not gone: whoever waits for the page would only ask again.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public async Task<TokenVerdict> AskAsync(string token, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            // A node that answers without a token checks none, and a good answer to this one would mean nothing.
            var open = await AskOnceAsync(null, either.Token).ConfigureAwait(false);
            return open is TokenVerdict.Good or TokenVerdict.LacksRights
                ? TokenVerdict.NotChecked
                : await AskOnceAsync(token, either.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return TokenVerdict.NoAnswer;
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return TokenVerdict.NoAnswer;
        }
    }

    private async Task<TokenVerdict> AskOnceAsync(string? token, CancellationToken cancellationToken)
    {
        using var admin = new AdminClient(node.Resolve(), token);
        try
        {
            await admin.GetStatusAsync(cancellationToken).ConfigureAwait(false);
            return TokenVerdict.Good;
        }
        catch (AdminRefusedException refusal) when (refusal.NeedsToken)
        {
            return TokenVerdict.Unknown;
        }
        catch (AdminRefusedException refusal) when (refusal.LacksRights)
        {
            return TokenVerdict.LacksRights;
        }
        catch (AdminRefusedException)
        {
            return TokenVerdict.NoAnswer;
        }
    }
}
