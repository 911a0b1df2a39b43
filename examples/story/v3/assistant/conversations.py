from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from assistant.models import Conversation, Message
from assistant.replies import reply
from assistant.services import services_of
from assistant.titles import title_of
from assistant.tokens import count_tokens

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])

Limit = Annotated[int, Query(ge=1, le=100)]
AnySession = Session | scoped_session[Session]


class MessageIn(BaseModel):
    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class MessageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    role: str
    content: str
    created_at: datetime


class ConversationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    created_at: datetime
    title: str | None


class Usage(BaseModel):
    messages: int
    tokens: int


class ConversationWithMessages(ConversationOut):
    messages: list[MessageOut] = Field(description="The newest ones, oldest first")
    usage: Usage | None = Field(description="Of all messages that were counted; null when it is off")


class Exchange(BaseModel):
    message: MessageOut
    reply: MessageOut


# Sessions open and close inside the endpoints: as a dependency with `yield` a session would outlive its
# thread, and requests that wait for threads would hold connections.


@router.post("", status_code=201)
def start_conversation(request: Request) -> ConversationOut:
    with services_of(request).database.sessions.begin() as session:
        conversation = Conversation()
        session.add(conversation)
        session.flush()
        return ConversationOut.model_validate(conversation)


@router.get("")
def list_conversations(
    request: Request, limit: Limit = 10, title: Annotated[str, Query(description="How it begins")] = ""
) -> list[ConversationOut]:
    newest = select(Conversation).order_by(Conversation.created_at.desc()).limit(limit)
    if title:
        newest = newest.where(Conversation.title.startswith(title, autoescape=True))
    reads = services_of(request).database.reads
    return [ConversationOut.model_validate(one) for one in reads.scalars(newest)]


@router.get("/{conversation_id}")
def read_conversation(
    request: Request, conversation_id: uuid.UUID, limit: Limit = 10
) -> ConversationWithMessages:
    services = services_of(request)
    reads = services.database.reads
    conversation = find_conversation(reads, conversation_id)
    messages = newest_messages(reads, conversation_id, limit)
    return ConversationWithMessages(
        id=conversation.id,
        created_at=conversation.created_at,
        title=conversation.title,
        messages=[MessageOut.model_validate(one) for one in messages],
        usage=usage_of(reads, conversation_id) if services.settings.show_usage else None,
    )


@router.post("/{conversation_id}/messages", status_code=201)
def send_message(request: Request, conversation_id: uuid.UUID, body: MessageIn) -> Exchange:
    services = services_of(request)
    client = request.client.host if request.client else "unknown"
    if not services.counter.admit(client):
        raise HTTPException(429, "too many messages in this minute", headers={"Retry-After": "60"})
    with services.database.sessions.begin() as session:
        conversation = find_conversation(session, conversation_id)
        if conversation.title is None:
            conversation.title = title_of(body.content, services.settings.title_length)
        message = counted(conversation_id, "user", body.content)
        answer = counted(conversation_id, "assistant", reply(body.content, services.settings.greeting))
        session.add_all([message, answer])
        session.flush()
        return Exchange(message=MessageOut.model_validate(message), reply=MessageOut.model_validate(answer))


def counted(conversation_id: uuid.UUID, role: str, content: str) -> Message:
    return Message(conversation_id=conversation_id, role=role, content=content, tokens=count_tokens(content))


def usage_of(session: AnySession, conversation_id: uuid.UUID) -> Usage:
    totals = select(func.count(Message.tokens), func.sum(Message.tokens)).where(
        Message.conversation_id == conversation_id
    )
    messages, tokens = session.execute(totals).one()
    return Usage(messages=messages, tokens=tokens or 0)


def find_conversation(session: AnySession, conversation_id: uuid.UUID) -> Conversation:
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise HTTPException(404, f"no conversation {conversation_id}")
    return conversation


def newest_messages(session: AnySession, conversation_id: uuid.UUID, limit: int) -> list[Message]:
    newest = (
        select(Message)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.id.desc())
        .limit(limit)
    )
    return list(reversed(session.scalars(newest).all()))
