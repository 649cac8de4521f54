namespace KvMesh.Protocol.Admin;

/// <summary>Body of every refusal, as <c>application/problem+json</c> (RFC 9457).</summary>
/// <param name="Field">Field of the request that was refused, when it was one.</param>
/// <param name="Value">Its value.</param>
/// <param name="Limit">What would have been accepted.</param>
public sealed record ErrorBody(
    string? Type, string? Title, int? Status, string? Detail, string? Instance, string? Field = null, string? Value = null, string? Limit = null);
