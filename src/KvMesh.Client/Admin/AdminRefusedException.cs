using System.Net;
using KvMesh.Protocol.Admin;

namespace KvMesh.Client.Admin;

/// <summary>The node answered and refused; the message is the node's own.</summary>
public sealed class AdminRefusedException : Exception
{
    public AdminRefusedException()
    {
    }

    public AdminRefusedException(string message)
        : base(message)
    {
    }

    public AdminRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public AdminRefusedException(HttpStatusCode statusCode, ErrorBody? error)
        : base(error?.Detail ?? error?.Title ?? $"The node answered {(int)statusCode} {statusCode}.")
    {
        StatusCode = statusCode;
        Error = error;
    }

    public HttpStatusCode StatusCode { get; }

    /// <summary>What the node said about it; null when the answer had another form.</summary>
    public ErrorBody? Error { get; }

    /// <summary>The node wants a token that it knows, and got none or a wrong one.</summary>
    public bool NeedsToken => StatusCode == HttpStatusCode.Unauthorized;

    /// <summary>The node knows the caller, who lacks the right to ask this.</summary>
    public bool LacksRights => StatusCode == HttpStatusCode.Forbidden;
}
